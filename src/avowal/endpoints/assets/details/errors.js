  // Errors of the page's scripts: how many.
  ["error", "unhandledrejection"].forEach(function (kind) {
    addEventListener(kind, function () {
      avowal.details.errors = (avowal.details.errors || 0) + 1;
    });
  });

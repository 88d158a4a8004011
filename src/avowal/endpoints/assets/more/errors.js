  // Errors of the page's scripts: how many.
  ["error", "unhandledrejection"].forEach(function (kind) {
    addEventListener(kind, function () {
      avowal.more.errors = (avowal.more.errors || 0) + 1;
    });
  });

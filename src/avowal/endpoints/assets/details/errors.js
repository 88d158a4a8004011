  // Errors of the page's scripts: how many.
  ["error", "unhandledrejection"].forEach(function (kind) {
    addEventListener(kind, function () {
      avowal.details.script_errors = (avowal.details.script_errors || 0) + 1;
    });
  });

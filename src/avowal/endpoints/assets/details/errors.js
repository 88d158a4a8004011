  // How many errors the page's scripts had.
  ["error", "unhandledrejection"].forEach(function (kind) {
    addEventListener(kind, function () {
      avowal.details.script_errors = (avowal.details.script_errors || 0) + 1;
    });
  });

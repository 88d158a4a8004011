  // Errors of the page's scripts: how many.
  ["error", "unhandledrejection"].forEach(function (kind) {
    addEventListener(kind, function () {
      avow.more.errors = (avow.more.errors || 0) + 1;
    });
  });

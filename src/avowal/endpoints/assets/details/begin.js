// The optional parts that the terms declare: events on a page, and how the page performed.
(function (avowal) {
  if (avowal.details) return; // the page loads the script twice
  avowal.details = {};

  // Calls back with each link that is followed by a click or the middle button.
  function onLink(callback) {
    ["click", "auxclick"].forEach(function (kind) {
      addEventListener(
        kind,
        function (event) {
          var link = event.button < 2 && event.target.closest && event.target.closest("a[href], area[href]");
          if (link && /^https?:$/.test(link.protocol)) callback(link);
        },
        true
      );
    });
  }


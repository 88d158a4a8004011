// The optional parts, as far as the terms declare them: what was done on a page, and how the page fared.
(function (avowal) {
  avowal.details = {};

  // Call back with each link that is followed: by its click, or the middle button's.
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


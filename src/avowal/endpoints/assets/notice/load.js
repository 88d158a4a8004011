// Loads the notice of a new version: the server puts this behind the core while one is to be displayed.
(function () {
  var script = document.createElement("script");
  script.src = document.currentScript.src.replace(/[^/]*$/, "avowal.notice.js");
  document.head.appendChild(script);
})();

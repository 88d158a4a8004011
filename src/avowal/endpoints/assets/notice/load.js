// Loads the notice of a new version: the server appends this to the core script while there is one to display.
(function () {
  var script = document.createElement("script");
  script.src = document.currentScript.src.replace(/[^/]*$/, "avowal.notice.js");
  document.head.appendChild(script);
})();

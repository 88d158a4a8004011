// Loads the optional parts: the server puts this behind the core where the terms declare any of them.
(function () {
  var script = document.createElement("script");
  script.src = document.currentScript.src.replace(/[^/]*$/, "avowal.details.js");
  document.head.appendChild(script);
})();

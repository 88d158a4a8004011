// Loads the optional parts: the server appends this to the core script if the terms declare any of them.
(function () {
  var script = document.createElement("script");
  script.src = document.currentScript.src.replace(/[^/]*$/, "avowal.details.js");
  document.head.appendChild(script);
})();

// Shows the notice of a new version on the page, until the visitor closes it. That it was closed is kept in the
// browser alone, under one key that no cookie is; where a browser keeps nothing, the notice comes back.
(function () {
  var told = NOTICE;
  var base = document.currentScript.src.replace(/[^/]*$/, "");
  var key = "avowal-notice";

  function closed(version) {
    try {
      if (version) localStorage.setItem(key, version);
      return localStorage.getItem(key) == told.version;
    } catch (error) {
      return false;
    }
  }

  // The words in the page's language, or in one that the visitor reads, or in the first.
  function words() {
    var wanted = [document.documentElement.lang].concat(navigator.languages || []);
    for (var i = 0; i < wanted.length; i++)
      for (var tag in told.words)
        if (wanted[i] && (tag == wanted[i] || tag.split("-")[0] == wanted[i].split("-")[0])) return told.words[tag];
    return told.words[Object.keys(told.words)[0]];
  }

  function part(parent, name, text) {
    var element = parent.appendChild(document.createElement(name));
    element.textContent = text;
    return element;
  }

  // Style sheets that are made here need no leave of a page's Content-Security-Policy.
  function style() {
    try {
      var sheet = new CSSStyleSheet();
      sheet.replaceSync(told.style);
      document.adoptedStyleSheets = document.adoptedStyleSheets.concat(sheet);
    } catch (error) {}
  }

  function show() {
    if (closed() || document.getElementById(key)) return;
    var say = words();
    var section = document.createElement("section");
    section.id = key;
    section.lang = say.lang;
    section.dir = say.dir;
    section.setAttribute("aria-label", say.label);
    part(section, "p", say.text);
    part(section, "a", say.read).href = base + say.link;
    part(section, "button", say.close).onclick = function () {
      closed(told.version);
      section.remove();
    };
    style();
    document.body.insertBefore(section, document.body.firstChild);
    if (told.first) fetch(base + "notice/" + told.version, { method: "POST", keepalive: true, mode: "no-cors" });
  }

  if (document.body) show();
  else addEventListener("DOMContentLoaded", show);
})();

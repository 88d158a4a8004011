// Shows the notice of a new version on the page, until the visitor closes it. That it was closed is stored in the
// browser only, in its local storage; if the browser stores nothing, the notice comes back.
(function () {
  var notice = NOTICE;
  var base = document.currentScript.src.replace(/[^/]*$/, "");
  var key = "avowal-notice";

  function closed(version) {
    try {
      if (version) localStorage.setItem(key, version);
      return localStorage.getItem(key) == notice.version;
    } catch (error) {
      return false;
    }
  }

  // The texts in the page's language, or in one that the visitor reads, or in the first.
  function choose() {
    var preferred = [document.documentElement.lang].concat(navigator.languages || []);
    for (var i = 0; i < preferred.length; i++)
      for (var tag in notice.texts)
        if (preferred[i] && (tag == preferred[i] || tag.split("-")[0] == preferred[i].split("-")[0])) return notice.texts[tag];
    return notice.texts[Object.keys(notice.texts)[0]];
  }

  function part(parent, name, text) {
    var element = parent.appendChild(document.createElement(name));
    element.textContent = text;
    return element;
  }

  // A page's Content-Security-Policy does not apply to style sheets that a script constructs.
  function style() {
    try {
      var sheet = new CSSStyleSheet();
      sheet.replaceSync(notice.style);
      document.adoptedStyleSheets = document.adoptedStyleSheets.concat(sheet);
    } catch (error) {}
  }

  function show() {
    if (closed() || document.getElementById(key)) return;
    var texts = choose();
    var section = document.createElement("section");
    section.id = key;
    section.lang = texts.language;
    section.dir = texts.text_direction;
    section.setAttribute("aria-label", texts.label);
    part(section, "p", texts.text);
    part(section, "a", texts.link_label).href = base + texts.changes_path;
    part(section, "button", texts.close_label).onclick = function () {
      closed(notice.version);
      section.remove();
    };
    style();
    document.body.insertBefore(section, document.body.firstChild);
    if (notice.report_display) fetch(base + "notice/" + notice.version, { method: "POST", keepalive: true, mode: "no-cors" });
  }

  if (document.body) show();
  else addEventListener("DOMContentLoaded", show);
})();

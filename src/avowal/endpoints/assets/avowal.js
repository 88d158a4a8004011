// Reports page views to Avowal: which page, and for how long it was visible and in focus. Nothing else.
// Every page loads this with <script defer src="/avowal.js"></script>; the server removes comments and spaces.
(function () {
  if (window.avowal) return; // the page loads the script twice
  var endpoint = document.currentScript.src.replace(/[^/]*$/, "collect");
  var id, url, referrer, began, seen, since, reported, beat, timer;

  // For the optional parts: `details`, if there are any, are sent with each report of the current view.
  var api = (window.avowal = { report: report, event: function () {} });

  function now() {
    return performance.now();
  }

  function isVisible() {
    return document.visibilityState == "visible" && !document.prerendering;
  }

  // The page's address as far as it is kept: a change of anything else begins no new view.
  function page() {
    return shorten(location.href.split(/#|DROPPED/)[0]);
  }

  function shorten(text) {
    return text.length > 4096 ? text.split("?")[0].slice(0, 4096) : text;
  }

  // Report how long the view has lasted, unless that was reported before and there is no event to report.
  function report(event) {
    var total = Math.round(seen + (since && now() - since));
    if (!id || now() - began > 864e5 || (total === reported && !event)) return; // older ones are dropped
    reported = total;
    var body = JSON.stringify({
      script_view_token: id,
      url: url,
      referrer: referrer,
      elapsed_ms: Math.round(now() - began),
      visible_ms: total,
      details: api.details && Object.assign({}, api.details, event),
    });
    if (!navigator.sendBeacon || !navigator.sendBeacon(endpoint, body))
      fetch(endpoint, { method: "POST", body: body, keepalive: true, mode: "no-cors" });
  }

  // Start or stop counting as the page gains or loses focus. Regular reports limit what a crash can lose.
  function watch() {
    clearTimeout(timer);
    if (isVisible() && !id) begin();
    if (isVisible() && document.hasFocus()) {
      since = since || now();
      timer = setTimeout(function () {
        report();
        beat = beat < 60 ? beat * 2 : beat + 60;
        watch();
      }, beat * 1000 - seen - (now() - since));
    } else if (since) {
      seen += now() - since;
      since = 0;
      report();
    }
  }

  // Begin a new view: the first, after the address changed, or after the page came back.
  function begin() {
    referrer = url || shorten(document.referrer);
    began = url || now() > 864e5 ? now() : 0; // the first view began with the navigation, as the server's log has it
    url = page();
    id = crypto.getRandomValues(new Uint32Array(3)).join("-");
    seen = since = 0;
    beat = 15;
    reported = -1;
    if (api.details) api.details = {};
    // REMEMBER
    report();
  }

  function end() {
    if (since) seen += now() - since;
    since = 0;
    if (id) report();
  }

  // The application changed its address without loading a page.
  function moved() {
    if (!id || page() == url) return;
    end();
    begin();
    watch();
  }
  ["pushState", "replaceState"].forEach(function (name) {
    var original = history[name];
    history[name] = function () {
      var result = original.apply(this, arguments);
      moved();
      return result;
    };
  });

  addEventListener("popstate", moved);
  addEventListener("focus", watch);
  addEventListener("blur", watch);
  document.addEventListener("visibilitychange", watch);
  addEventListener("pagehide", function () {
    end();
    clearTimeout(timer);
  });
  addEventListener("pageshow", function (event) {
    if (event.persisted) {
      begin();
      watch();
    }
  });
  watch();
})();

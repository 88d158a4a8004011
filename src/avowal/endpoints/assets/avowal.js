// What a page tells Avowal: that it is looked at, and for how long it was visible and in focus. Nothing else.
// Every page loads this with <script defer src="/avowal.js"></script>; the server takes comments and spaces out of it.
(function () {
  var endpoint = document.currentScript.src.replace(/[^/]*$/, "collect");
  var id, url, referrer, began, seen, since, told, beat, timer;

  // What the optional parts use: `details`, where there is one, goes along with whatever is told of the present look.
  var api = (window.avowal = { tell: tell, event: function () {} });

  function now() {
    return performance.now();
  }

  function isVisible() {
    return document.visibilityState == "visible" && !document.prerendering;
  }

  function page() {
    return location.href.split("#")[0];
  }

  // Tell how long the look has lasted by now, unless that was told and nothing was done.
  function tell(done) {
    var total = Math.round(seen + (since && now() - since));
    if (!id || (total === told && !done)) return;
    told = total;
    var body = JSON.stringify({
      script_view_token: id,
      url: url,
      referrer: referrer,
      elapsed_ms: Math.round(now() - began),
      visible_ms: total,
      details: api.details && Object.assign({}, api.details, done),
    });
    if (!navigator.sendBeacon || !navigator.sendBeacon(endpoint, body))
      fetch(endpoint, { method: "POST", body: body, keepalive: true, mode: "no-cors" });
  }

  // Begin to count or stop, as the page is in focus or not. A beat now and then lets a crash lose little.
  function watch() {
    clearTimeout(timer);
    if (isVisible() && !id) begin();
    if (isVisible() && document.hasFocus()) {
      since = since || now();
      timer = setTimeout(function () {
        tell();
        beat = beat < 60 ? beat * 2 : beat + 60;
        watch();
      }, beat * 1000 - seen - (now() - since));
    } else if (since) {
      seen += now() - since;
      since = 0;
      tell();
    }
  }

  // A new look: the first, one after the address changed, one after the page came back.
  function begin() {
    referrer = url || document.referrer;
    url = page();
    id = crypto.getRandomValues(new Uint32Array(3)).join("-");
    began = now();
    seen = since = 0;
    beat = 15;
    told = -1;
    if (api.details) api.details = {};
    // REMEMBER
    tell();
  }

  function end() {
    if (since) seen += now() - since;
    since = 0;
    if (id) tell();
  }

  // An application that changes its address without loading a page.
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

  // Largest Contentful Paint, Interaction to Next Paint and Cumulative Layout Shift, as web.dev/articles/vitals has them.
  var first = avowal.details, of = {}, shown = [];

  function observe(kind, take, options) {
    try {
      var observer = new PerformanceObserver(function (list) {
        list.getEntries().forEach(take);
      });
      observer.observe(Object.assign({ type: kind, buffered: true }, options));
      shown.push(function () {
        observer.takeRecords().forEach(take);
      });
    } catch (error) {
      // this browser does not measure it
    }
  }

  // The values of the current view; another view starts with new ones.
  function currentView() {
    if (of.details != avowal.details) of = { details: avowal.details, shift: 0, slow: {} };
    return of;
  }

  observe("largest-contentful-paint", function (entry) {
    first.largest_contentful_paint_ms = Math.round(entry.startTime);
  });
  observe("layout-shift", function (entry) {
    var view = currentView();
    if (entry.hadRecentInput) return;
    if (view.shift && entry.startTime - view.last < 1000 && entry.startTime - view.begun < 5000) {
      view.shift += entry.value;
    } else {
      view.shift = entry.value;
      view.begun = entry.startTime;
    }
    view.last = entry.startTime;
    avowal.details.cumulative_layout_shift = Math.max(
      avowal.details.cumulative_layout_shift || 0,
      Math.round(view.shift * 1e4) / 1e4
    );
  });
  // Of every fifty interactions, the slowest one is ignored.
  function interaction(entry) {
    if (!entry.interactionId && entry.entryType != "first-input") return;
    var slow = currentView().slow, id = entry.interactionId || "first";
    slow[id] = Math.max(slow[id] || 0, Math.round(entry.duration));
    var times = Object.values(slow).sort(function (a, b) { return b - a; });
    avowal.details.interaction_to_next_paint_ms =
      times[Math.min(times.length - 1, Math.floor((performance.interactionCount || 0) / 50))];
  }
  observe("first-input", interaction);
  observe("event", interaction, { durationThreshold: 40 });
  if (
    !("cumulative_layout_shift" in avowal.details) &&
    PerformanceObserver.supportedEntryTypes.includes("layout-shift")
  )
    avowal.details.cumulative_layout_shift = 0;

  // Before the core script reports the end of the view.
  ["visibilitychange", "pagehide", "blur"].forEach(function (kind) {
    addEventListener(
      kind,
      function () {
        shown.forEach(function (take) { take(); });
      },
      true
    );
  });

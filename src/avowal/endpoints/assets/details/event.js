  // Named events: by `avowal.event("signed-up")` in a script, or by `data-avowal-event` on a clicked element.
  avowal.event = function (name) {
    avowal.report({ event_name: String(name) });
  };
  addEventListener(
    "click",
    function (event) {
      var named = event.target.closest && event.target.closest("[data-avowal-event]");
      if (named) avowal.event(named.dataset.avowalEvent);
    },
    true
  );

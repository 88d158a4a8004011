  // What the page names: by a script's `avowal.event("signed-up")`, or by `data-avowal-event` at what is clicked.
  avowal.event = function (name) {
    avowal.tell({ event_name: String(name) });
  };
  addEventListener(
    "click",
    function (event) {
      var named = event.target.closest && event.target.closest("[data-avowal-event]");
      if (named) avowal.event(named.dataset.avowalEvent);
    },
    true
  );

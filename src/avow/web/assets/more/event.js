  // What the page names: by a script's `avow.event("signed-up")`, or by `data-avow-event` at what is clicked.
  avow.event = function (name) {
    avow.tell({ event: String(name) });
  };
  addEventListener(
    "click",
    function (event) {
      var named = event.target.closest && event.target.closest("[data-avow-event]");
      if (named) avow.event(named.dataset.avowEvent);
    },
    true
  );

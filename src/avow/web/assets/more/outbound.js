  // A link to another site.
  onLink(function (link) {
    if (link.host != location.host) avow.tell({ outbound: link.href.split("#")[0] });
  });

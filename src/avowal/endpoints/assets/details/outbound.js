  // A link to another site.
  onLink(function (link) {
    if (link.host != location.host) avowal.tell({ outbound: link.href.split("#")[0] });
  });

  // A link to another site.
  onLink(function (link) {
    if (link.host != location.host) avowal.tell({ outbound_link: link.href.split("#")[0] });
  });

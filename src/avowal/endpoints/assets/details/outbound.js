  // A link to another site.
  onLink(function (link) {
    if (link.host != location.host) avowal.report({ outbound_link: link.href.split("#")[0] });
  });

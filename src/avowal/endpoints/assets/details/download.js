  // Downloads: links to files with an extension of the settings, or with the attribute `download`.
  var extensions = ENDINGS;
  onLink(function (link) {
    var extension = /\.([a-z0-9]{1,12})$/.exec(link.pathname.toLowerCase());
    if (link.host == location.host && (link.hasAttribute("download") || (extension && extensions.indexOf(extension[1]) >= 0)))
      avowal.report({ download: link.href });
  });

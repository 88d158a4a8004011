  // A file that is downloaded: of an ending that the settings name, or where the page says that it is one.
  var endings = ENDINGS;
  onLink(function (link) {
    var ending = /\.([a-z0-9]{1,12})$/.exec(link.pathname.toLowerCase());
    if (link.host == location.host && (link.hasAttribute("download") || (ending && endings.indexOf(ending[1]) >= 0)))
      avowal.tell({ download: link.href });
  });

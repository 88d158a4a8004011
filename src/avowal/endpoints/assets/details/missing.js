  // A page that is not there.
  var navigation = performance.getEntriesByType("navigation")[0];
  if (navigation && navigation.responseStatus == 404) avowal.tell({ not_found: true });

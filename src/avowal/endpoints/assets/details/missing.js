  // The page was not found (404).
  var navigation = performance.getEntriesByType("navigation")[0];
  if (navigation && navigation.responseStatus == 404) avowal.report({ not_found: true });

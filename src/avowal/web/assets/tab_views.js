// Offers visitors without the cookie what this tab remembers of its own page views (`remember.js`): it is sent when they
// ask for it, and not before.
(function () {
  // These views were erased: there is nothing left to remember them for.
  try {
    if (document.getElementById("erased")) sessionStorage.removeItem("avowal-views");
  } catch (error) {}
  var form = document.getElementById("tab");
  var views = "";
  try {
    views = sessionStorage.getItem("avowal-views") || "";
  } catch (error) {}
  if (!form || !views.trim()) return;
  form.elements.script_views.value = views.trim();
  form.hidden = false;
  document.getElementById("forget").addEventListener("click", function () {
    sessionStorage.removeItem("avowal-views");
    form.hidden = true;
  });
})();

// Remember in this tab, until it is closed, which views were reported: a visitor without the cookie can see them by that.
    if (!navigator.globalPrivacyControl && navigator.doNotTrack != "1")
      try {
        sessionStorage["avowal-views"] = (sessionStorage["avowal-views"] || "") + " " + id;
      } catch (error) {}

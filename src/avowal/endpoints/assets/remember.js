// Remember in this tab, until it is closed, which looks were told: by that a visitor without the cookie can see them.
    if (!navigator.globalPrivacyControl && navigator.doNotTrack != "1")
      try {
        sessionStorage["avowal-views"] = (sessionStorage["avowal-views"] || "") + " " + id;
      } catch (error) {}

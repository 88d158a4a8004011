  // Files submitted with a form: how many bytes they have.
  addEventListener(
    "submit",
    function (event) {
      var bytes = 0, some;
      event.target.querySelectorAll("input[type=file]").forEach(function (input) {
        Array.prototype.forEach.call(input.files, function (file) {
          some = true;
          bytes += file.size;
        });
      });
      if (some) avowal.report({ upload_bytes: bytes });
    },
    true
  );

})(window.avow);

})(window.avowal);

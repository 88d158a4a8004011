// Checks a receipt, or a proof of an entry, in the browser: the ledger's signature (C2SP signed-note, Ed25519), the
// proof that the entry is in its tree (RFC 9162), and that the receipt says what the entry says. Nothing is sent.
(function () {
  "use strict";
  var HEADER = "c2sp.org/tlog-proof@v1";
  var text = new TextEncoder();

  function Failure(result) {
    this.result = result;
  }

  function fail(result) {
    throw new Failure(result);
  }

  function bytes(base64) {
    var raw;
    try {
      raw = atob(base64);
    } catch (error) {
      fail("none");
    }
    if (btoa(raw) != base64) fail("none");
    return Uint8Array.from(raw, function (character) {
      return character.charCodeAt(0);
    });
  }

  function unhex(digits) {
    if (!/^([0-9a-f]{2})*$/.test(digits)) fail("none");
    return Uint8Array.from(digits.match(/../g) || [], function (pair) {
      return parseInt(pair, 16);
    });
  }

  function hex(data) {
    return Array.from(data, function (byte) {
      return byte.toString(16).padStart(2, "0");
    }).join("");
  }

  function joined(parts) {
    return new Uint8Array(
      parts.reduce(function (all, part) {
        return all.concat(Array.from(part));
      }, []),
    );
  }

  function same(one, other) {
    return hex(one) == hex(other);
  }

  async function sha256() {
    return new Uint8Array(await crypto.subtle.digest("SHA-256", joined(Array.from(arguments))));
  }

  // Canonical JSON (RFC 8785): JSON.stringify writes numbers and strings as it says, and keys are sorted as it says.
  function canonical(value) {
    if (Array.isArray(value)) return "[" + value.map(canonical).join(",") + "]";
    if (value === null || typeof value != "object") return JSON.stringify(value);
    var members = Object.keys(value).sort();
    return "{" + members.map((name) => JSON.stringify(name) + ":" + canonical(value[name])).join(",") + "}";
  }

  async function commitment(salt, statement) {
    return hex(await sha256(unhex(salt), text.encode(canonical(statement))));
  }

  // A verifier's key: NAME+ID+KEY, where the ID is what its signatures begin with.
  async function verifier(line) {
    var found = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+\/]+=*)$/.exec(line.trim());
    var data = found ? bytes(found[3]) : [];
    if (data.length != 33 || data[0] != 1) fail("key");
    var id = (await sha256(text.encode(found[1] + "\n"), data)).slice(0, 4);
    if (hex(id) != found[2]) fail("key");
    return { name: found[1], id: id, key: data.slice(1) };
  }

  async function signs(key, line, signed) {
    var found = /^— ([^\s+]+) ([A-Za-z0-9+\/]+={0,2})$/.exec(line);
    var data = found && found[1] == key.name ? bytes(found[2]) : [];
    if (data.length != 68 || !same(data.slice(0, 4), key.id)) return false;
    var imported;
    try {
      imported = await crypto.subtle.importKey("raw", key.key, { name: "Ed25519" }, false, ["verify"]);
    } catch (error) {
      fail("cannot");
    }
    return crypto.subtle.verify({ name: "Ed25519" }, imported, data.slice(4), text.encode(signed));
  }

  // Returns what a checkpoint says, after checking that the ledger signed it.
  async function opened(note, key) {
    var end = note.lastIndexOf("\n\n");
    var signed = note.slice(0, end + 1);
    var lines = note.slice(end + 2).split("\n").filter(Boolean);
    var found = /^([^\n]+)\n(0|[1-9][0-9]{0,14})\n([A-Za-z0-9+\/]+=*)\n/.exec(signed);
    if (end < 0 || !found) fail("none");
    if (found[1] != key.name) fail("signature");
    for (var line of lines)
      if (await signs(key, line, signed)) return { origin: found[1], size: Number(found[2]), root: bytes(found[3]) };
    fail("signature");
  }

  // RFC 9162, section 2.1.3.2; without bit shifts, as numbers may be larger than 32 bits.
  async function included(index, size, leaf, proof, root) {
    var place = index;
    var last = size - 1;
    var found = leaf;
    var half = (number) => Math.floor(number / 2);
    if (place > last) fail("tree");
    for (var sibling of proof) {
      if (last == 0) fail("tree");
      if (place % 2 || place == last) {
        found = await sha256([1], sibling, found);
        while (place % 2 == 0 && place) {
          place = half(place);
          last = half(last);
        }
      } else found = await sha256([1], found, sibling);
      place = half(place);
      last = half(last);
    }
    if (last || !same(found, root)) fail("tree");
  }

  // Returns the entry that a proof is about, and its number.
  async function proved(written, key) {
    var found = new RegExp(
      "^" + HEADER.replace(/\./g, "\\.") + "\nextra ([A-Za-z0-9+/=]*)\nindex (0|[1-9][0-9]{0,14})((?:\n[A-Za-z0-9+/=]+)*)\n\n",
    ).exec(written);
    if (!found) fail("none");
    var body = bytes(found[1]);
    var checkpoint = await opened(written.slice(found[0].length), key);
    var path = found[3].split("\n").filter(Boolean).map(bytes);
    await included(Number(found[2]), checkpoint.size, await sha256([0], body), path, checkpoint.root);
    return { entry: JSON.parse(new TextDecoder().decode(body)) };
  }

  // Returns a receipt. Fails if two of its members have one name: a reader could be shown the other.
  function parsed(written) {
    var receipt;
    try {
      receipt = JSON.parse(written);
    } catch (error) {
      fail("none");
    }
    var named = (written.match(/"(?:[^"\\]|\\.)*"\s*:?/g) || []).filter((found) => found.endsWith(":")).length;
    if (named != members(receipt)) fail("none");
    return receipt;
  }

  function members(value) {
    if (value === null || typeof value != "object") return 0;
    var own = Array.isArray(value) ? 0 : Object.keys(value).length;
    return Object.values(value).reduce((count, inner) => count + members(inner), own);
  }

  // Fails unless an entry has these values.
  function agree(entry, expected) {
    for (var name in expected)
      if (!(name in entry) || canonical(entry[name]) != canonical(expected[name])) fail("differs");
  }

  function erasure(statement, proof, found, committed) {
    var counts = Object.assign({}, statement.erased);
    agree(found.entry, Object.assign(counts, { kind: "erasure-done", commitment: committed, at: statement.erased_at }));
  }

  async function release(statement, proof, found, committed) {
    if (found.entry.kind != "release-made" || found.entry.summary.reference != statement.reference) fail("differs");
    var leaf = await sha256([0], unhex(committed));
    var path = proof.path.map(unhex);
    await included(proof.position, found.entry.visitor_count, leaf, path, unhex(found.entry.commitment));
  }

  async function consent(statement, proof, found, committed) {
    var notice = statement.pii_processing.privacy_notice;
    var event = statement.event;
    agree(found.entry, {
      kind: event.event_state == "consent withdrawn" ? "consent-withdrawn" : "consent-given",
      version: notice.version,
      identity: notice.identity,
      document_hash: notice.document_sha256,
      language: statement.pii_processing.language,
      channel: event.channel,
      at: event.event_time,
      commitment: committed,
    });
    if (hex(await sha256(text.encode(proof.terms))) != notice.identity) fail("differs");
    var purposes = statement.pii_processing.purposes.map((entry) => ({
      purpose: entry.purpose,
      others: entry.recipient_third_parties,
      kept: entry.pii_information.map((information) => [information.pii_type, information.retention_period]),
    }));
    if (canonical(purposes) != canonical(promises(JSON.parse(proof.terms)))) fail("differs");
  }

  // For each kind of receipt, what its proof has, and what checks that its statement agrees with its entry.
  var KINDS = {
    "avowal erasure 1": [["salt", "tlog_proof"], erasure],
    "avowal release receipt 1": [["path", "position", "salt", "tlog_proof"], release],
    "ISO/IEC TS 27560:2023, avowal 1": [["salt", "terms", "tlog_proof"], consent],
  };

  // What the terms permit for each purpose: what the operator stores for how long, and who else receives it.
  function promises(terms) {
    var byPurpose = new Map();
    for (var [category, purpose, recipient, ground, ages] of terms.cells) {
      if (category.startsWith("cookie ")) continue;
      if (!byPurpose.has(purpose)) byPurpose.set(purpose, { purpose: purpose, others: [], kept: [] });
      var promise = byPurpose.get(purpose);
      if (recipient == "operator" && ground == "own-use") promise.kept.push([category, lasting(ages)]);
      else if (!promise.others.includes(recipient)) promise.others.push(recipient);
    }
    return Array.from(byPurpose.values());
  }

  // Ages in words, finest precision first, without those that add nothing.
  function lasting(ages) {
    var precisions = new Map();
    for (var [precision, age] of ages.slice().reverse()) if (!precisions.has(age)) precisions.set(age, precision);
    return Array.from(precisions, ([age, precision]) => precision + " " + words(age)).join(", ");
  }

  function words(age) {
    if (age === "forever") return age;
    if (!age) return "never";
    for (var [unit, seconds] of [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]])
      if (age % seconds == 0)
        return (age / seconds).toLocaleString("en") + " " + unit + (age == seconds ? "" : "s");
  }

  // Returns the result and the entry. A proof alone is text; a receipt is JSON.
  async function check(written, line) {
    if (!(window.crypto && crypto.subtle)) fail("cannot");
    var key = await verifier(line);
    if (written.startsWith(HEADER)) return { result: "proof", entry: (await proved(written, key)).entry };
    var receipt = parsed(written);
    if (!receipt) fail("none");
    // The statement of a receipt is all of it but the proof. The entry has a commitment to it as a whole.
    var { proof, ...statement } = receipt;
    if (!proof || typeof proof.tlog_proof != "string" || !/^[0-9a-f]{64}$/.test(proof.salt)) fail("none");
    var kind = KINDS[receipt.schema || receipt.schema_version];
    if (!kind || Object.keys(proof).sort().join() != kind[0].join()) fail("none");
    var found = await proved(proof.tlog_proof, key);
    await kind[1](statement, proof, found, await commitment(proof.salt, statement));
    return { result: "holds", entry: found.entry };
  }

  function show(result, entry) {
    var section = document.getElementById("found");
    section.hidden = false;
    section.querySelectorAll("[data-result]").forEach(function (line) {
      line.hidden = line.dataset.result != result;
    });
    var list = section.querySelector("dl");
    list.textContent = "";
    for (var name in entry || {}) {
      list.appendChild(document.createElement("dt")).textContent = name;
      var value = entry[name];
      list.appendChild(document.createElement("dd")).textContent = typeof value == "string" ? value : canonical(value);
    }
    section.querySelector("[data-entry]").hidden = !entry;
    section.focus();
  }

  async function run(written) {
    try {
      var found = await check(written, document.getElementById("key").value);
      show(found.result, found.entry);
    } catch (error) {
      show(error instanceof Failure ? error.result : "none");
    }
  }

  var form = document.getElementById("check");
  form.addEventListener("submit", async function (event) {
    event.preventDefault();
    var file = form.elements.file.files[0];
    run(file ? await file.text() : form.elements.text.value.trimStart());
  });
  form.elements.file.addEventListener("change", function () {
    form.elements.text.value = "";
  });
  form.elements.text.addEventListener("input", function () {
    form.elements.file.value = "";
  });

  // Opened from the visitor's own page: load the receipt of an entry, which only their own browser gets.
  var entry = new URLSearchParams(location.search).get("entry");
  if (entry && /^[0-9]+$/.test(entry))
    fetch("me/receipts/" + entry).then(async function (answer) {
      if (!answer.ok) return show("missing");
      form.elements.text.value = await answer.text();
      run(form.elements.text.value);
    });
})();

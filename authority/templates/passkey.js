// Asks the browser for a passkey, and sends the answer with the form that asked. No other script
// runs on these pages; without it, the password works as ever.
"use strict";
{
  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(Array.from(new Uint8Array(buffer), (b) => String.fromCharCode(b)).join(""))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  const create = async (options) => {
    options.challenge = bytes(options.challenge);
    options.user.id = bytes(options.user.id);
    for (const known of options.excludeCredentials ?? []) known.id = bytes(known.id);
    const made = await navigator.credentials.create({ publicKey: options });
    return [made, {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
    }];
  };

  const get = async (options) => {
    options.challenge = bytes(options.challenge);
    const found = await navigator.credentials.get({ publicKey: options });
    return [found, {
      clientDataJSON: text(found.response.clientDataJSON),
      authenticatorData: text(found.response.authenticatorData),
      signature: text(found.response.signature),
      userHandle: text(found.response.userHandle ?? new ArrayBuffer(0)),
    }];
  };

  const prepare = (form) => {
    const button = form.querySelector("button[data-passkey-button]");
    const said = form.querySelector("[data-passkey-said]");
    button.closest("[hidden]")?.removeAttribute("hidden");
    button.addEventListener("click", async () => {
      const name = form.querySelector("input[data-passkey-name]");
      if (name && !name.reportValidity()) return;
      button.disabled = true;
      said.hidden = true;
      try {
        const ask = form.dataset.passkey === "create" ? create : get;
        const [credential, response] = await ask(JSON.parse(form.dataset.options));
        form.elements.namedItem("passkey").value = JSON.stringify({
          id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
        });
        // Not requestSubmit: the password is not asked for.
        form.submit();
      } catch (error) {
        said.textContent = error.name === "InvalidStateError"
          ? "This device has a passkey for this account already."
          : "No passkey was used. Try again" + (form.dataset.passkey === "get" ? ", or type the password." : ".");
        said.hidden = false;
        button.disabled = false;
      }
    });
  };

  if (window.PublicKeyCredential) document.querySelectorAll("form[data-passkey]").forEach(prepare);
}

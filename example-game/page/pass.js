// The player's pass: the credential with which the page connects. All tabs of this browser share it, so they are one player.

// A pass that is valid for less than this is renewed before it is used.
const RENEW_MS = 5 * 60_000;

export class Pass {
  #used = null;

  // The name that the server has confirmed; '' before the first sign-in.
  get name() {
    return stored()?.name ?? '';
  }

  // The name that the player has chosen; '' for none, and the server then generates one.
  get chosen() {
    return localStorage.getItem('name') ?? '';
  }

  // The token for a connection. Signs in if there is no pass, or if it expires soon.
  token() {
    return alone(async () => {
      const pass = stored();
      const isFresh = pass !== null && pass.expires - Date.now() > RENEW_MS;
      const { token } = isFresh ? pass : await signIn(pass?.name ?? this.chosen, pass?.token);
      this.#used = token;
      return token;
    });
  }

  // The same player under another name. Rejects with the server's message if the name cannot be used.
  rename(name) {
    return alone(async () => {
      await signIn(name, stored()?.token);
      localStorage.setItem('name', name);
    });
  }

  // The server does not know the pass any more, for example after a restart. Another tab may have a new one already.
  refused() {
    if (stored()?.token === this.#used) localStorage.removeItem('pass');
  }
}

function stored() {
  return JSON.parse(localStorage.getItem('pass') ?? 'null');
}

async function signIn(name, token) {
  const answer = await fetch('/sign-in', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, token }),
  });
  if (!answer.ok) {
    // A proxy in between answers with something else than JSON.
    const { message } = await answer.json().catch(() => ({ message: `Signing in failed with status ${answer.status}.` }));
    throw new Error(message);
  }
  const pass = await answer.json();
  const kept = { token: pass.token, player: pass.player, name: pass.name, expires: Date.now() + pass.expires_in_s * 1000 };
  localStorage.setItem('pass', JSON.stringify(kept));
  return kept;
}

// Two tabs that sign in at the same time would become two players. Without HTTPS, only the server's own machine has locks.
function alone(act) {
  return navigator.locks ? navigator.locks.request('pass', act) : act();
}

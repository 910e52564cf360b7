// What pages do besides being read: copying, filtering, and showing what goes on. Every page works without it.
(() => {
  'use strict';

  const said = document.getElementById('said');

  // Buttons that copy the text beside them.
  const copy = async (text) => {
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(text);
      return;
    }
    // Without https a browser has only the old way.
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'unseen';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    if (!done) throw new Error('the browser does not copy');
  };
  const prepare = (button) => {
    button.hidden = false;
    button.addEventListener('click', async () => {
      const label = button.textContent;
      let outcome = 'Copied';
      try {
        await copy(button.parentElement.querySelector('code').textContent);
      } catch {
        outcome = 'Not copied';
      }
      button.textContent = outcome;
      if (said) said.textContent = outcome;
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  };
  document.querySelectorAll('.copy').forEach(prepare);

  // A field that filters the rows of the list behind it.
  document.querySelectorAll('.filter').forEach((field) => {
    const rows = document.getElementById(field.dataset.of).children;
    field.hidden = false;
    field.addEventListener('input', () => {
      const wanted = field.value.toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
  });

  // A part of the page that changes: it is asked for again until the server marks it as settled.
  const refresh = async (part) => {
    const reply = await fetch(location.href, { headers: { Accept: 'text/html' }, credentials: 'same-origin' });
    if (!reply.ok) return;
    const page = new DOMParser().parseFromString(await reply.text(), 'text/html');
    const fresh = page.getElementById(part.id);
    if (fresh) part.replaceWith(document.adoptNode(fresh));
  };
  const follow = (id) => {
    const part = document.getElementById(id);
    const seconds = part && Number(part.dataset.live);
    if (!seconds) return;
    setTimeout(async () => {
      try {
        if (!document.hidden) await refresh(part);
      } catch {
        // The server may be back for the next try.
      }
      follow(id);
    }, seconds * 1000);
  };
  document.querySelectorAll('[data-live]').forEach((part) => follow(part.id));

  // The log of a deployment, line by line until its end.
  const log = document.querySelector('[data-events]');
  if (log) {
    const most = 5000;
    const follows = () => log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.scrollTop = log.scrollHeight;
    const events = new EventSource(log.dataset.events);
    events.addEventListener('lines', (event) => {
      const atEnd = follows();
      for (const { time, line } of JSON.parse(event.data)) {
        const stamp = document.createElement('i');
        stamp.textContent = time;
        const row = document.createElement('span');
        row.append(stamp, ' ' + line + '\n');
        log.append(row);
      }
      while (log.childElementCount > most) log.firstElementChild.remove();
      if (atEnd) log.scrollTop = log.scrollHeight;
    });
    events.addEventListener('state', () => {
      const state = document.getElementById('state');
      if (state) refresh(state).catch(() => {});
    });
    events.addEventListener('end', () => {
      events.close();
      log.dataset.ended = 'true';
      const state = document.getElementById('state');
      if (state) refresh(state).catch(() => {});
    });
  }
})();

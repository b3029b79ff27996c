// What is measured, of whom, and which figures are shown.

const PLAIN_ECHO = ['--path', '/echo'];
const others = ['bun', 'ws', 'socketio', 'socketioxide'];

/** How many rounds those take part in whom nothing is compared to. */
const ROUNDS_OF_OTHERS = 2;

function contestant(server, label, ...extra) {
  const rounds = ['lean', 'mounted', 'bun'].includes(server) ? undefined : ROUNDS_OF_OTHERS;
  return { server, label, extra, rounds };
}

/** Courtside in both of the ways in which it runs. */
function courtside(what, ...extra) {
  return ['lean', 'mounted'].map((server) => contestant(server, ['Courtside', server, what].filter(Boolean).join(', '), ...extra));
}

function peers(extra = () => []) {
  const labels = { bun: 'Bun, publish/subscribe', ws: 'ws, loop over clients', socketio: 'Socket.IO', socketioxide: 'socketioxide' };
  return others.map((server) => contestant(server, labels[server], ...extra(server)));
}

const echoing = () => {
  const labels = { bun: 'Bun', ws: 'ws', socketio: 'Socket.IO', socketioxide: 'socketioxide' };
  return others.map((server) =>
    contestant(server, labels[server], ...(server === 'bun' || server === 'ws' ? PLAIN_ECHO : [])),
  );
};

const broadcasting = [
  ...courtside('channel', '--via', 'channel'),
  ...courtside('room', '--via', 'room'),
  ...peers(),
];

const cpu = { figure: 'server_us_each', less: true };

const RECEIVERS = [100, 1000, 10_000];
const withReceivers = (name, receivers) => `${name}, ${receivers.toLocaleString('en')} receivers`;

/** Who is measured with how many receivers; each beside itself with 1,000, and beside Bun with as many. */
const growing = RECEIVERS.flatMap((receivers) =>
  [
    ['lean', 'Courtside, lean, channel'],
    ['bun', 'Bun, publish/subscribe'],
  ].map(([server, name]) => ({
    ...contestant(server, withReceivers(name, receivers), '--receivers', String(receivers)),
    beside: { 'at 1,000': withReceivers(name, 1000), Bun: withReceivers('Bun, publish/subscribe', receivers) },
  })),
);

const stormColumns = [
  { figure: 'failures', head: 'failures' },
  { figure: 'secs', head: 's until all are back' },
  { ...cpu, head: 'CPU µs per resume' },
  { figure: 'p99_us', head: 'p99 µs of a resume' },
];
const reconnecting = [...courtside(), contestant('bun', 'Bun, opening again')];

export const scenarios = [
  {
    id: 'full-speed',
    title: 'Fan-out to 1,000, as fast as it goes',
    text: 'One client publishes texts of 100 bytes, 1,000 receive each; 16 broadcasts are under way at any time.',
    command: ['fanout', '--receivers', '1000', '--window', '16'],
    timed: true,
    contestants: broadcasting,
    columns: [
      { ...cpu, head: 'CPU s per million deliveries' },
      { figure: 'deliveries_per_s', head: 'deliveries/s', less: false },
      { figure: 'messages_per_read', head: 'frames per write' },
      { figure: 'server_rss_mb', head: 'memory MB', less: true },
      { figure: 'own_cpu_percent', head: 'generator, % of its core' },
    ],
  },
  {
    id: 'steady',
    title: 'Fan-out to 1,000, 50 times a second',
    text: 'As before, but at a steady rate: 50,000 deliveries each second, mostly one frame in each write. Latency is counted from the moment at which the broadcast was due, to that at which the kernel told the generator of the frame.',
    command: ['fanout', '--receivers', '1000', '--rate', '50'],
    timed: true,
    contestants: broadcasting,
    columns: [
      { ...cpu, head: 'CPU s per million deliveries' },
      { figure: 'p50_us', head: 'p50 µs', less: true },
      { figure: 'p99_us', head: 'p99 µs', less: true },
      { figure: 'deliveries_per_s', head: 'deliveries/s' },
    ],
  },
  {
    id: 'receivers',
    title: 'CPU per delivery, by the number of receivers',
    text: 'As fast as it goes, with 16 broadcasts under way. What one delivery costs should not depend on how many others there are.',
    command: ['fanout', '--window', '16'],
    timed: true,
    contestants: growing,
    columns: [
      { ...cpu, head: 'CPU s per million deliveries' },
      { figure: 'deliveries_per_s', head: 'deliveries/s' },
      { figure: 'messages_per_read', head: 'frames per write' },
    ],
  },
  {
    id: 'echo',
    title: 'Echo, 100 connections',
    text: 'Each connection sends a text of 100 bytes and waits until it is back. The others echo in the function that gets the message; Courtside parses it, counts it, brings it to the room and its typed handler (on the same thread, as there is one core), and sequences the reply.',
    command: ['echo', '--connections', '100', '--window', '1'],
    timed: true,
    contestants: [
      ...courtside('room handler', '--via', 'room'),
      ...courtside('call', '--via', 'call'),
      ...echoing(),
    ],
    columns: [
      { ...cpu, head: 'CPU µs per echo' },
      { figure: 'replies_per_s', head: 'echoes/s', less: false },
      { figure: 'p99_us', head: 'p99 µs', less: true },
      { figure: 'own_cpu_percent', head: 'generator, % of its core' },
    ],
  },
  {
    id: 'idle',
    title: 'Idle, 10,000 connections',
    text: 'Resident memory per connection, measured a second after the last came in; and what opening one costs.',
    command: ['idle', '--sessions', '10000', '--secs', '1'],
    contestants: [
      ...courtside('session'),
      ...courtside('session with a subscription', '--via', 'channel'),
      ...peers(),
    ],
    columns: [
      { figure: 'server_kb_each', head: 'kB each', less: true },
      { figure: 'server_us_per_open', head: 'CPU µs per opening', less: true },
    ],
  },
  {
    id: 'storm',
    title: 'Reconnect storm, 5,000 sessions',
    text: 'All connections are cut at once, three publications are made that nobody is there for, and all come back with their tokens, 128 at a time. A failure is a session that was not resumed, or did not get each of the three once and in order. Bun has no sessions: its connections are cut and opened again, and miss what they missed.',
    command: ['storm', '--sessions', '5000', '--missed', '3'],
    contestants: reconnecting,
    columns: stormColumns,
  },
  {
    id: 'great-storm',
    title: 'Reconnect storm, 15,000 sessions at once',
    text: 'As before, but all 15,000 send their handshakes before any is read from, so that the server finds thousands at its door. Memory at its highest, sampled each 5 ms, is set beside that of the same sessions while they were idle.',
    command: ['storm', '--sessions', '15000', '--at-once', '15000', '--missed', '3'],
    rounds: 2,
    contestants: reconnecting,
    columns: [
      // Not how long one took: the generator opens all before it reads from any, and that is most of it.
      ...stormColumns.filter((column) => column.figure !== 'p99_us'),
      { figure: 'rss_idle_mb', head: 'idle memory MB' },
      { figure: 'rss_peak_mb', head: 'most memory MB' },
      { figure: 'rss_peak_ratio', head: 'most ÷ idle' },
    ],
  },
  {
    id: 'slow',
    title: 'Slow readers, 10 among 1,000',
    text: 'One client publishes as fast as it goes, with 16 broadcasts under way; 10 more receivers stop reading. Until they are cut, the 1,000 others must not feel them. The others have nothing that could be set beside it.',
    command: ['slow', '--receivers', '1000', '--stalled', '10', '--window', '16', '--secs', '4'],
    rounds: 2,
    contestants: courtside('channel'),
    columns: [
      { figure: 'cut_secs', head: 's until all 10 are cut' },
      { figure: 'p99_us_before', head: 'p99 µs while all read' },
      { figure: 'p99_us', head: 'p99 µs of the others' },
      { figure: 'p99_ratio', head: 'with ÷ without' },
      { figure: 'server_growth_mb', head: 'more memory MB' },
    ],
  },
  {
    id: 'rooms',
    title: 'Small rooms, 1,000 of 4 members',
    text: 'Each room steps 20 times a second and its state changes at each step: 80,000 states are sent each second.',
    command: ['rooms', '--rooms', '1000'],
    timed: true,
    contestants: courtside(),
    columns: [
      { figure: 'ticks_per_room_per_s', head: 'steps/s in each room' },
      { figure: 'late_p99_us', head: 'p99 µs that a step is late' },
      { figure: 'states', head: 'states received' },
      { figure: 'server_cpu_percent', head: '% of a core' },
    ],
  },
];

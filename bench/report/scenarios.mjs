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
const reconnecting = [...courtside(), contestant('bun', 'Bun, reconnecting')];

export const scenarios = [
  {
    id: 'full-speed',
    title: 'Fan-out to 1,000, at full speed',
    text: 'One client publishes texts of 100 bytes, and 1,000 clients receive each; 16 broadcasts are in flight at any time.',
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
    text: 'As before, but at a steady rate: 50,000 deliveries each second, mostly one frame per write. Latency is the time from when the broadcast was due until the kernel reported the frame to the generator.',
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
    text: 'At full speed, with 16 broadcasts in flight. The cost of a delivery should not depend on the number of receivers.',
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
    text: 'Each connection sends a text of 100 bytes and waits for the echo. The other servers echo in the function that receives the message; Courtside parses it, counts it, passes it to the room and its typed handler (on the same thread, because there is one core), and counts the reply.',
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
    text: 'Resident memory per connection, measured a second after the last one was opened, and the cost of opening one.',
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
    text: 'All connections are cut at once, three publications are made while no client is connected, and all clients reconnect with their tokens, 128 at a time. A failure is a session that was not resumed, or did not receive each of the three once and in order. Bun has no sessions: its connections are cut and opened again without the missed publications.',
    command: ['storm', '--sessions', '5000', '--missed', '3'],
    contestants: reconnecting,
    columns: stormColumns,
  },
  {
    id: 'great-storm',
    title: 'Reconnect storm, 15,000 sessions at once',
    text: 'As before, but all 15,000 clients send their handshakes before the generator reads from any, so that the server receives thousands at once. Peak memory, sampled every 5 ms, is compared with that of the same sessions while they were idle.',
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
    text: 'One client publishes at full speed, with 16 broadcasts in flight; 10 more receivers stop reading. Until they are disconnected, they must not affect the 1,000 others. The other servers have nothing comparable.',
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
      { figure: 'late_p99_us', head: 'p99 lateness of a step in µs' },
      { figure: 'states', head: 'states received' },
      { figure: 'server_cpu_percent', head: '% of a core' },
    ],
  },
];

// Boxes and positions in the scan. Millimetres; the server speaks LPS, NiiVue RAS.

/** Turn LPS into RAS, or back. */
export const flipped = ([x, y, z]) => [-x, -y, z];

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const column = (axes, k) => axes.map((row) => row[k]);
const nearest = (values) => values.map(Math.abs).reduce((best, value, i, all) => (value > all[best] ? i : best), 0);

/** Return the corners of a box's central sagittal rectangle, LPS: superior anterior first, then around. */
export function boxCorners(box) {
  const across = nearest(box.axes[1]);
  const up = nearest(box.axes[2]);
  const side = (k, row) => column(box.axes, k).map((x) => (x * Math.sign(box.axes[row][k]) * box.size[k]) / 2);
  const [a, u] = [side(across, 1), side(up, 2)];
  return [[-1, 1], [1, 1], [1, -1], [-1, -1]].map(([i, j]) => box.center.map((x, k) => x + i * a[k] + j * u[k]));
}

/** Return a box moved by so many millimetres to the back and upwards. */
export function movedBox(box, posterior, superior) {
  const [x, y, z] = box.center;
  return { ...box, center: [x, y + posterior, z + superior] };
}

/** Return the row whose centre lies in a box, the nearest to its middle if several do, or null. */
export function rowInBox(rows, box) {
  let best = null;
  let least = Infinity;
  for (const row of rows) {
    const offset = row.center.map((x, i) => x - box.center[i]);
    const inside = box.size.every((size, k) => Math.abs(dot(offset, column(box.axes, k))) <= size / 2);
    const distance = Math.hypot(...offset);
    if (inside && distance < least) [best, least] = [row, distance];
  }
  return best;
}

/** Return the row whose centre is nearest to a point, LPS, if it is not farther than `most` mm, else null. */
export function rowNear(rows, point, most = 22) {
  const far = (row) => Math.hypot(...row.center.map((x, i) => x - point[i]));
  const best = rows.reduce((a, b) => (a === null || far(b) < far(a) ? b : a), null);
  return best !== null && far(best) <= most ? best : null;
}

/** Return a function from a change in pixels to millimetres, from the pixels of one millimetre back and one up. */
export function millimetresOf(back, up) {
  const determinant = back[0] * up[1] - back[1] * up[0];
  return ([x, y]) => [(x * up[1] - y * up[0]) / determinant, (y * back[0] - x * back[1]) / determinant];
}

// Files that go with a message: which may, how large, and a picture made smaller where it is too large.

export const MAX_FILES = 4;
export const MAX_BYTES = 720 * 1024; // Together, in one message; the gateway's own bounds.
const TEXT = /^(?:text\/|application\/(?:json|xml|yaml|x-yaml|toml|sql|javascript)$)/;
const TEXT_NAMES = /\.(?:txt|md|csv|tsv|log|json|xml|ya?ml|toml|ini|conf|html?|css|[cm]?[jt]sx?|py|rs|go|java|kt|rb|php|c|h|cpp|sh|sql|diff|patch)$/i;
const PICTURE = /^image\/(?:png|jpeg|webp|gif)$/;
const SIDES = [2048, 1600, 1200, 800]; // Pixels to which a picture is made smaller, until it fits.
const SHOWN_SIDE = 160; // Pixels of what is shown of it when the page is opened again.
const SHOWN_BYTES = 5000;

/** What the dialogue for files offers. */
export const ACCEPT = "image/png,image/jpeg,image/webp,image/gif,text/*,.md,.csv,.json,.log,.xml,.yaml,.yml,.toml";

/** A size as people read it. */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const kib = bytes / 1024;
  return kib < 1024 ? `${Math.round(kib)} KB` : `${(kib / 1024).toFixed(1)} MB`;
}

const base64 = (blob) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });

/** A picture with no side longer than so many pixels. */
async function drawn(picture, side, type, quality) {
  const scale = Math.min(1, side / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, type, quality));
}

async function smaller(picture, most) {
  for (const side of SIDES) {
    const blob = await drawn(picture, side, "image/jpeg", 0.82);
    if (blob && blob.size <= most) return blob;
  }
  return null;
}

/**
 * Reads a file, of which `left` bytes may still go with the message. Throws what people are told.
 */
export async function read(file, left) {
  const isPicture = PICTURE.test(file.type);
  if (!isPicture && !TEXT.test(file.type) && !TEXT_NAMES.test(file.name)) {
    throw new Error(`${file.name}: only pictures (PNG, JPEG, WebP, GIF) and text can be sent.`);
  }
  const told = `${file.name} is too large: the files of a message may have ${size(MAX_BYTES)} together.`;
  let blob = file;
  let shown;
  if (isPicture) {
    const picture = await createImageBitmap(file).catch(() => {
      throw new Error(`${file.name} is no picture that can be read.`);
    });
    if (file.size > left) blob = await smaller(picture, left);
    const small = await drawn(picture, SHOWN_SIDE, "image/jpeg", 0.6);
    picture.close();
    if (small && small.size <= SHOWN_BYTES) shown = await base64(small);
  }
  if (!blob || blob.size > left) throw new Error(told);
  const mediaType = blob.type || "text/plain";
  const about = { name: file.name.slice(0, 120), mediaType, size: blob.size, ...(shown && { preview: shown }) };
  return { about, blob, data: await base64(blob) };
}

const SHOWN = /^image\/(?:png|jpeg|gif|webp)$/;

/**
 * The address of a file that an answer brought, and whether it is shown. What is none of these pictures is bytes
 * to the browser, whatever the answer says: it opens and runs none of it.
 */
export function brought({ mediaType, data }) {
  const isPicture = SHOWN.test(String(mediaType));
  try {
    const bytes = Uint8Array.from(atob(String(data)), (it) => it.charCodeAt(0));
    const type = isPicture ? String(mediaType) : "application/octet-stream";
    return { address: URL.createObjectURL(new Blob([bytes], { type })), isPicture };
  } catch {
    return { address: null, isPicture: false }; // It is shown by its name.
  }
}

/** The address of a picture of which the bytes are at hand, good as long as the page is. */
export const pictured = (blob) => URL.createObjectURL(blob);

/** What was kept of a picture, as one. */
export function preview(text) {
  try {
    const bytes = Uint8Array.from(atob(text), (it) => it.charCodeAt(0));
    return pictured(new Blob([bytes], { type: "image/jpeg" }));
  } catch {
    return null; // It is shown by its name.
  }
}

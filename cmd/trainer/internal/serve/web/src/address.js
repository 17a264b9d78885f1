// The part of the address after #: #learn/NAME is ["learn", NAME].

export function address() {
  try {
    return location.hash.slice(1).split("/").map(decodeURIComponent);
  } catch {
    return []; // this page makes no such address
  }
}

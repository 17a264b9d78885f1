// The files of a Go program in the browser: Go calls the functions of globalThis.fs as Node.js has them, and wasm_exec.js
// has ones that fail. Here are those for reading.

// provide lets a Go program read files, given by their paths, and list their folders.
export function provide(files) {
  const folders = new Set(["/"]);
  for (const path of Object.keys(files)) {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) folders.add(path.slice(0, at));
  }
  const open = new Map(); // {path, at} by file descriptor
  let last = 2;
  const clean = (path) => (path.replace(/\/+\.?(?=\/|$)/g, "") || "/");
  const failure = (code) => Object.assign(new Error(code), { code });

  function describe(path) {
    const isFolder = folders.has(path);
    if (!isFolder && !(path in files)) throw failure("ENOENT");
    const size = isFolder ? 0 : files[path].length;
    return {
      dev: 1, ino: 1, mode: isFolder ? 0o40555 : 0o100444, nlink: 1, uid: 0, gid: 0, rdev: 0, size, blksize: 4096,
      blocks: Math.ceil(size / 512), atimeMs: 0, mtimeMs: 0, ctimeMs: 0, isDirectory: () => isFolder,
    };
  }

  const functions = {
    open(path) {
      describe(clean(path));
      open.set(++last, { path: clean(path), at: 0 });
      return last;
    },
    close: (fd) => void open.delete(fd),
    stat: (path) => describe(clean(path)),
    lstat: (path) => describe(clean(path)),
    fstat(fd) {
      if (!open.has(fd)) throw failure("EBADF");
      return describe(open.get(fd).path);
    },
    readdir(path) {
      const inside = clean(path) === "/" ? "/" : clean(path) + "/";
      const names = [...folders, ...Object.keys(files)].filter((p) => p !== "/" && p.startsWith(inside)).map((p) => p.slice(inside.length).split("/")[0]);
      return [...new Set(names)];
    },
    read(fd, buffer, offset, length, position) {
      const file = open.get(fd);
      if (!file) throw failure("EBADF");
      const from = position ?? file.at;
      const part = files[file.path].subarray(from, from + length);
      buffer.set(part, offset);
      if (position === null || position === undefined) file.at += part.length;
      return part.length;
    },
  };
  globalThis.fs.constants.O_DIRECTORY = 0o200000; // with the -1 of wasm_exec.js, Go opens no folder
  for (const [name, f] of Object.entries(functions)) {
    globalThis.fs[name] = (...args) => {
      const callback = args.pop();
      let result;
      try {
        result = f(...args);
      } catch (e) {
        if (!e.code) throw e;
        callback(e);
        return;
      }
      callback(null, result);
    };
  }
}

package data

import "embed"

// mnistFiles is empty in a browser, where each page would have to load its 12 MB: a page brings the files that it needs
// (Options.Dir).
var mnistFiles embed.FS

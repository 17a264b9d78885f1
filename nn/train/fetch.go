package train

import "trainer/nn/device"

// newFetch prepares downloads of at most bytes bytes. On a device that is not a device.AsyncDownloader, Queue itself
// copies.
func newFetch(dev device.Device, bytes int) (device.AsyncDownload, error) {
	if f, ok := dev.(device.AsyncDownloader); ok {
		return f.NewAsyncDownload(bytes)
	}
	return &blockingFetch{dev: dev, bytes: make([]byte, bytes)}, nil
}

// blockingFetch is a download that is complete when Queue returns.
type blockingFetch struct {
	dev   device.Device
	bytes []byte
	n     int
	err   error
}

func (f *blockingFetch) Queue(src *device.Tensor) {
	f.n = src.Len() * src.DType().Size()
	f.err = f.dev.Download(f.bytes[:f.n], src)
}

func (f *blockingFetch) Ready() bool { return true }

func (f *blockingFetch) Wait(dst []byte) error {
	if f.err != nil {
		return f.err
	}
	copy(dst, f.bytes[:f.n])
	return nil
}

func (f *blockingFetch) Close() error { return nil }

//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import "gorgonia.org/cu"

// reserve makes the workspace large enough for a plan's calls. A larger memory replaces the smaller one, which stays
// alive in graphs that use it.
func (d *Device) reserve(bytes int64) error {
	if bytes == 0 || d.workspace != nil && d.workspace.bytes >= bytes {
		return nil
	}
	m, err := d.allocate(bytes)
	if err == nil {
		d.workspace = m
	}
	return err
}

// scratch returns the address of the workspace, or 0 if no plan has needed one. Plans must call it at every use,
// because a later plan's reserve may move the workspace.
func (d *Device) scratch() cu.DevicePtr {
	if d.workspace == nil {
		return 0
	}
	return d.at(d.workspace)
}

// workspaceAlignment is the alignment of the parts of a workspace, in bytes.
const workspaceAlignment = 256

// layout places parts in a workspace, one after the other.
type layout struct{ bytes int64 }

// place returns the offset of a part with the given number of bytes.
func (l *layout) place(bytes int) (offset cu.DevicePtr) {
	offset = cu.DevicePtr(l.bytes)
	l.bytes += (int64(bytes) + workspaceAlignment - 1) / workspaceAlignment * workspaceAlignment
	return offset
}

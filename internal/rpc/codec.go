package rpc

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// codec is protobuf as gRPC speaks it, for less: messages are written into pooled buffers by generated
// code, and what is read is read into one buffer that the texts of the message point into, so that a
// message costs one allocation for all of its texts. That buffer lives as long as any of them.
//
// It takes the other side at its word that texts are UTF-8: both sides are Sluice.
type codec struct{ stock encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Name is that of the content type that both sides have spoken before: application/grpc+proto.
func (codec) Name() string { return proto.Name }

// Marshal writes a message. Those without generated code, as of the health service, go the usual way.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(interface {
		SizeVT() int
		MarshalToSizedBufferVT([]byte) (int, error)
	})
	if !ok {
		return c.stock.Marshal(v)
	}
	size, pool := m.SizeVT(), mem.DefaultBufferPool()
	if mem.IsBelowBufferPoolingThreshold(size) {
		text := make([]byte, size)
		_, err := m.MarshalToSizedBufferVT(text)
		return mem.BufferSlice{mem.SliceBuffer(text)}, err
	}
	text := pool.Get(size)
	if _, err := m.MarshalToSizedBufferVT((*text)[:size]); err != nil {
		pool.Put(text)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(text, pool)}, nil
}

// Unmarshal reads a message.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(interface{ UnmarshalVTUnsafe([]byte) error })
	if !ok {
		return c.stock.Unmarshal(data, v)
	}
	return m.UnmarshalVTUnsafe(data.Materialize()) // a copy: gRPC takes its buffers back
}

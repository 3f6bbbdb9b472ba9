package rpc

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// codec is the protobuf codec of gRPC with fewer allocations. Generated code encodes a message into a pooled buffer.
// The strings of a decoded message point into one buffer, which lives as long as any of them. It does not validate
// UTF-8, because both ends are Sluice.
type codec struct{ stock encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Name returns the content type of gRPC's codec: application/grpc+proto.
func (codec) Name() string { return proto.Name }

// Marshal encodes a message; one without generated code, such as the health service's, with gRPC's codec.
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

// Unmarshal decodes a message.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(interface{ UnmarshalVTUnsafe([]byte) error })
	if !ok {
		return c.stock.Unmarshal(data, v)
	}
	return m.UnmarshalVTUnsafe(data.Materialize()) // a copy: gRPC reuses its buffers
}

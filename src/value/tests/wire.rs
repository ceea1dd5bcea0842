//! Builds protobuf messages field by field, and descriptors from `.proto` texts.

use crate::value::grpc::Descriptors;
use bytes::BufMut;
use prost_reflect::prost::encoding::{WireType, encode_key, encode_varint};
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver},
};

/// A catalogue with each kind of field.
pub(crate) const SHOP: &str = r#"
syntax = "proto3";
package shop.v1;
import "google/protobuf/any.proto";

service Catalogue {
  rpc Get(Get) returns (Item);
  rpc List(Get) returns (stream Item);
  rpc Put(stream Item) returns (Get);
}
message Get { string sku = 1; }
enum Color { UNKNOWN = 0; RED = 1; GREEN = 2; }
message Item {
  string sku = 1;
  repeated int32 sizes = 2;
  map<string, int64> stock = 3;
  optional int32 rank = 4;
  oneof price { int64 cents = 5; string text = 6; }
  Color color = 7;
  Item child = 8;
  bytes blob = 9;
  double weight = 10;
  bool flag = 11;
  repeated Item parts = 12;
  float ratio = 13;
  uint64 big = 14;
  sint32 delta = 15;
  google.protobuf.Any extra = 16;
  map<int32, Color> colors = 17;
}
"#;

/// One file in memory.
struct Source(String);

/// The descriptors of a `.proto` text.
pub(crate) fn described(proto: &str) -> Descriptors {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Source(proto.to_owned()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler
        .include_imports(true)
        .open_file("test.proto")
        .unwrap();
    let mut pool = Descriptors::builtin();
    let set = compiler.encode_file_descriptor_set();
    pool.decode_file_descriptor_set(&set[..]).unwrap();
    Descriptors::new(pool).unwrap()
}

impl FileResolver for Source {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "test.proto" => File::from_source(name, &self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

pub(crate) fn varint(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(number, WireType::Varint, &mut out);
    encode_varint(value, &mut out);
    out
}

pub(crate) fn length(number: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut out);
    encode_varint(content.as_ref().len() as u64, &mut out);
    out.put_slice(content.as_ref());
    out
}

pub(crate) fn double(number: u32, value: f64) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(number, WireType::SixtyFourBit, &mut out);
    out.put_f64_le(value);
    out
}

pub(crate) fn float(number: u32, value: f32) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(number, WireType::ThirtyTwoBit, &mut out);
    out.put_f32_le(value);
    out
}

/// Varints without their tags.
pub(crate) fn packed(values: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    values
        .iter()
        .for_each(|value| encode_varint(*value, &mut out));
    out
}

/// A message as gRPC sends it.
pub(crate) fn framed(flag: u8, message: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = vec![flag];
    out.put_u32(message.as_ref().len() as u32);
    out.put_slice(message.as_ref());
    out
}

// The build copies this file of onnxruntime-web beside the page's modules; its types are those of the package.
export * from "onnxruntime-web/wasm";

// Reads one aligned face with a model of `deadpan export --standalone`, with ONNX Runtime's C++ API alone.
//
//     g++ -std=c++17 -I ONNXRUNTIME/include face.cpp -o face -L ONNXRUNTIME/lib -lonnxruntime
//     ./face MODEL.onnx FACE.rgb NEUTRAL.rgb
//
// FACE.rgb holds the bytes of an aligned face, S x S pixels in RGB order; NEUTRAL.rgb receives the neutral face.

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>
#include <onnxruntime_cxx_api.h>

int main(int, char** arguments) {
  Ort::Env runtime;
  std::string model = arguments[1];
  Ort::Session session(runtime, std::basic_string<ORTCHAR_T>(model.begin(), model.end()).c_str(), {});
  Ort::AllocatorWithDefaultOptions allocator;
  int64_t size = std::stoi(session.GetModelMetadata().LookupCustomMetadataMapAllocated("image_size", allocator).get());
  std::ifstream file(arguments[2], std::ios::binary);
  std::vector<char> pixels((std::istreambuf_iterator<char>(file)), {});
  std::vector<int64_t> shape{1, size, size, 3};
  auto memory = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeCPU);
  auto faces = Ort::Value::CreateTensor<uint8_t>(memory, (uint8_t*)pixels.data(), pixels.size(), shape.data(), 4);
  const char *inputs[] = {"faces"}, *outputs[] = {"expressions", "probabilities", "neutral", "residue"};
  auto answer = session.Run({}, inputs, &faces, 1, outputs, 4);
  for (size_t i = 0; i < answer[0].GetTensorTypeAndShapeInfo().GetElementCount(); ++i)
    std::printf("%s %.6f\n", answer[0].GetStringTensorElement(i).c_str(), answer[1].GetTensorData<float>()[i]);
  std::printf("residue %.6f\n", *answer[3].GetTensorData<float>());
  std::ofstream(arguments[3], std::ios::binary).write(answer[2].GetTensorData<char>(), pixels.size());
}

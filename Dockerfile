# SpinalTap on the command line, with PyTorch for the processor. It needs no network when it runs.
#
#   docker build -t spinaltap .
#   docker run --rm --network none -v /data:/data spinaltap batch /data/scans --output /data/results

FROM python:3.12-slim AS wheel
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.12-slim
ARG TORCH=torch==2.13.0+cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# What VTK needs to draw the picture of the surfaces without a screen.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libegl1 libgl1 libxrender1 libxext6 \
 && rm -rf /var/lib/apt/lists/*
# Only PyTorch itself comes from its own index; what it needs comes from the usual one with the wheel.
RUN pip install --no-cache-dir --no-deps --index-url "$TORCH_INDEX" "$TORCH"
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)[cluster]" && rm -r /wheels
# A user of any number may run it.
ENV HOME=/tmp
ENTRYPOINT ["spinaltap"]
CMD ["--help"]

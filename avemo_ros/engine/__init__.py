"""From images and audio to estimates: what live nodes, replay, files and training all drive.

`VideoStage` turns images into face tracks, `AudioStage` audio into spectrogram chunks,
`EmotionStage` both into estimates and events.  `avemo_ros.pipeline` joins them in one thread.
Each takes items with the stamp of their sensor and the time of their arrival, and decides all
that has to do with time; nothing here knows of ROS or the wall clock.
"""

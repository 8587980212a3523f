package dev.pocketencoder

/** Why an encoder could not do what was asked, in one line: what is wrong, where, and what to do. */
sealed class EncoderException(message: String, cause: Throwable? = null) : RuntimeException(message, cause)

/** The bundle is incomplete, altered, or of a schema that this library does not read. */
class BundleException(message: String, cause: Throwable? = null) : EncoderException(message, cause)

/** The engine cannot open the model or run it, or the model's tensors are not the manifest's. */
class EngineException(message: String, cause: Throwable? = null) : EncoderException(message, cause)

/** The screenshot cannot be used. */
class ImageException(message: String, cause: Throwable? = null) : EncoderException(message, cause)

/** The user vector has another length than the model takes, or a number that is not finite. */
class UserVectorException(message: String) : EncoderException(message)

/** There is nothing to rank. */
class CandidatesException(message: String) : EncoderException(message)

/** A text was to be encoded before any screen was. */
class NoScreenException(message: String) : EncoderException(message)

/** The bundle's model does not find regions. */
class RegionsException(message: String) : EncoderException(message)

/** The encoder was closed. */
class ClosedException(message: String) : EncoderException(message)
